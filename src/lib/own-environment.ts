// Variables of the environment by which the launcher and this program's processes speak to each other. Applications, and what they
// start, have the environment that whoever started us has given.

/** What a launched program is told, and what a master leaves for the one that replaces it. */
const OURS = ['PORTICO_INVOKED_AS', 'PORTICO_FD_NAMES']
export const CACHE_VARIABLE = 'NODE_COMPILE_CACHE'

/** A checkout's launcher names a folder of its own, unless there is one. */
export function isOwnCache(folder: string | undefined): boolean {
  return folder !== undefined && folder.endsWith('/node_modules/.cache/portico')
}

/** A copy. */
export function givenEnvironment(environment: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const given = { ...environment }
  for (const name of OURS) delete given[name]
  if (isOwnCache(given[CACHE_VARIABLE])) delete given[CACHE_VARIABLE]
  return given
}
