// What the directive reference says beyond the declarations, in tables by topic (the other files of this folder): a sentence or
// three on what each directive does, the form of arguments that cannot be told from a parser's answers, and defaults that
// only words can give.

export interface Prose {
  /** What stands between the name and the `;`; several forms in a list. */
  readonly args?: string | readonly string[]
  /** The default as it would be written; one that begins with `=` is words. null: there is none. */
  readonly standard?: string | null
  readonly text?: string
}

/** By name, or `page/name` where a name has several meanings. */
export type Texts = Readonly<Record<string, Prose>>

/** By name, as $NAME; of a family, with `NAME` for what is variable in it. `page/name` where a name has several meanings. */
export type VariableTexts = Readonly<Record<string, string>>

/** Directives that several kinds of upstream have, each under its own prefix: told once, by what is behind the prefix. In
 *  texts `PREFIX` stands for the prefix. */
export interface Family {
  readonly prefixes: readonly string[]
  readonly texts: Texts
}

/** A family's word on a directive; null: it is none of it. */
export function inFamily({ prefixes, texts }: Family, name: string): Prose | null {
  for (const prefix of prefixes) {
    const said = name.startsWith(`${prefix}_`) ? texts[name.slice(prefix.length + 1)] : undefined
    if (said !== undefined) return withPrefix(said, prefix)
  }
  return null
}

function withPrefix(said: Prose, prefix: string): Prose {
  const fill = (text: string): string => text.replaceAll('PREFIX', prefix)
  const { args, standard, text } = said
  return {
    ...(args === undefined ? {} : { args: typeof args === 'string' ? fill(args) : args.map(fill) }),
    ...(standard === undefined ? {} : { standard: standard === null ? null : fill(standard) }),
    ...(text === undefined ? {} : { text: fill(text) }),
  }
}
