// Cleaning up in the reverse order of making, so that a server is stopped before its folder is removed; node:test's own
// hooks run first come, first served.

import { after } from 'node:test'

/** A test's context, or fileScope(). */
export interface Scope {
  after(clean: () => Promise<void>): void
}

type Clean = () => unknown

/** For what all tests of a file share; to be called while the file loads, not inside a hook or test. */
export function fileScope(): Scope {
  const cleans: (() => Promise<void>)[] = []
  after(async () => {
    for (const clean of cleans) await clean()
  })
  return { after: clean => void cleans.push(clean) }
}

const stacks = new WeakMap<Scope, Clean[]>()

/** Runs at the end of the test, before what was registered earlier. */
export function atEnd(t: Scope, clean: Clean): void {
  const known = stacks.get(t)
  if (known !== undefined) {
    known.push(clean)
    return
  }
  const stack = [clean]
  stacks.set(t, stack)
  t.after(() => unwind(stack))
}

/** All are run, whatever some of them throw; the first error is the one told. */
async function unwind(stack: Clean[]): Promise<void> {
  const errors: unknown[] = []
  for (let clean = stack.pop(); clean !== undefined; clean = stack.pop()) {
    try {
      await clean()
    } catch (error) {
      errors.push(error)
    }
  }
  if (errors.length > 0) throw errors[0]
}
