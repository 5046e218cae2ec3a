// All that is said of directives and variables, and the way to it.

import { access, accessVariables } from './access.ts'
import { applications, applicationVariables } from './applications.ts'
import { cacheVariables, caching, cachingOfTheirOwn } from './caching.ts'
import { choices, choiceVariables } from './choices.ts'
import { coreVariables } from './core-variables.ts'
import { files, fileVariables } from './files.ts'
import { gateways, gatewayVariables } from './gateways.ts'
import { laterVariables, main } from './main.ts'
import { mail } from './mail.ts'
import { passing } from './passing.ts'
import { inFamily, type Family, type Prose, type Texts, type VariableTexts } from './prose.ts'
import { requests } from './requests.ts'
import { responses, responseVariables } from './responses.ts'
import { servers } from './servers.ts'
import { stream, streamVariables } from './stream.ts'
import { acme, tls, tlsVariables, upstreamTls } from './tls.ts'
import { upstreams, upstreamVariables } from './upstreams.ts'
import { watching, watchingVariables } from './watching.ts'

const tables: readonly Texts[] = [
  main,
  servers,
  requests,
  applications,
  gateways,
  cachingOfTheirOwn,
  upstreams,
  files,
  tls,
  acme,
  access,
  choices,
  responses,
  watching,
  stream,
  mail,
]

const variableTables: readonly VariableTexts[] = [
  coreVariables,
  applicationVariables,
  gatewayVariables,
  cacheVariables,
  upstreamVariables,
  fileVariables,
  tlsVariables,
  accessVariables,
  choiceVariables,
  responseVariables,
  watchingVariables,
  streamVariables,
  laterVariables,
]

export const prose = joined(tables)
export const families: readonly Family[] = [passing, caching, upstreamTls]
export const variableWords = joined(variableTables)

/** What is said of a directive: by its page where a name has several meanings, else by name; what is not said there, its
 *  family says. */
export function proseOf(page: string, name: string): Prose {
  const own = prose[`${page}/${name}`]
  if (own !== undefined) return own
  const common = families.map(family => inFamily(family, name)).find(said => said !== null)
  return { ...common, ...prose[name] }
}

/** What is said of a variable, '' for nothing. */
export function wordsOf(page: string, variable: string): string {
  return variableWords[`${page}/${variable}`] ?? variableWords[variable] ?? ''
}

/** Nothing is said twice. */
function joined<T>(tables: readonly Readonly<Record<string, T>>[]): Readonly<Record<string, T>> {
  const entries = tables.flatMap(table => Object.entries(table))
  const all = Object.fromEntries(entries)
  if (Object.keys(all).length === entries.length) return all
  const twice = entries.map(([name]) => name).filter((name, i, names) => names.indexOf(name) !== i)
  throw new Error(`said twice: ${twice.join(', ')}`)
}
