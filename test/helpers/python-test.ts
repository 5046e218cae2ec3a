// node's `test` for files in which every test runs a Python application: where there is no Python they are skipped by name.

import nodeTest from 'node:test'
import { isMissing } from './needs.ts'

const skip = 'python3 missing: on Debian, "apt-get install python3"'

type Args = readonly unknown[]

function skipped(...args: Args): unknown {
  const name = args.find(arg => typeof arg === 'string')
  return nodeTest(name, { skip })
}

const test: typeof nodeTest = isMissing('python3') ? Object.assign(skipped, nodeTest) : nodeTest

export default test
