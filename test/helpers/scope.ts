// Cleaning up in the reverse order of making, so that a server is stopped before its folder is removed; node:test's own
// hooks run first come, first served.

/** A test's context; for what a whole file shares, one `const file = { after }` of node:test's. */
export interface Scope {
  after(clean: () => Promise<void>): void
}

type Clean = () => unknown

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
