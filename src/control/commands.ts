// The commands of the control interface. Their names, and those in the answers, are Gunicorn's, so that its client and scripts
// made for it find what they look for.

import { splitWords } from '../app/settings/words.ts'
import { UsageError } from '../app/settings/setting.ts'
import type { TaskChange } from '../app/pool/tasks.ts'
import type { Message } from '../codec/control.ts'
import type { App, Order, RunningProgram, Worker } from './program.ts'

export interface Answer {
  readonly message: object
  /** What is to be done once the answer has been sent; null: nothing. */
  readonly order: Order | null
}

type Data = Readonly<Record<string, unknown>>

/** What is wrong with a command, worded to follow `Invalid argument: `. */
class CommandError extends Error {}

/** Null: this is no command at all. */
export async function answer(program: RunningProgram, request: Message): Promise<Answer | null> {
  const { id = 0, command = '', args } = request
  if (typeof command !== 'string' || (args && !Array.isArray(args))) return null
  const error = (text: string): Answer => ({ message: { id, status: 'error', error: text }, order: null })
  try {
    const words = [...splitWords(command), ...(args ? (args as unknown[]).map(String) : [])]
    if (command.trim() === '' || words.length === 0) return error('Empty command')
    const [name, ...rest] = words
    const { data, order = null } = await run(program, name!.toLowerCase(), rest)
    return { message: { id, status: 'ok', data }, order }
  } catch (problem) {
    if (problem instanceof UsageError) return error('Invalid argument: a quote is not closed')
    const kind = problem instanceof CommandError ? 'Invalid argument' : 'Command failed'
    return error(`${kind}: ${(problem as Error).message}`)
  }
}

interface Done {
  readonly data: object
  readonly order?: Order
}

async function run(program: RunningProgram, name: string, args: readonly string[]): Promise<Done> {
  switch (name) {
    case 'show':
      return { data: await show(program, args) }
    case 'worker':
      return { data: worker(program, args) }
    case 'dirty':
      return { data: await dirty(program, args) }
    case 'reload':
      return { data: { status: 'reloading' }, order: 'reconfigure' }
    case 'reopen':
      return { data: { status: 'reopening' }, order: 'reopen' }
    case 'shutdown':
      return shutdown(args[0] ?? 'graceful')
    case 'help':
      return { data: { commands: COMMANDS } }
    default:
      throw new CommandError(`Unknown command: ${name}`)
  }
}

const COMMANDS: Readonly<Record<string, string>> = {
  'show all': 'All processes: master, front, workers, task processes',
  'show workers': 'The workers of all applications and what they are at',
  'show dirty': 'Task processes and what they have loaded',
  'show config': 'The settings in use',
  'show stats': 'Uptime, and how many workers there are and were',
  'show status': 'What is running, in numbers: connections, requests, queues, workers',
  'show listeners': 'The addresses that are listened on',
  'worker add [N] [APP]': 'N workers more (1), of APP where there are several',
  'worker remove [N] [APP]': 'N workers less (1); one always stays',
  'worker kill <PID>': 'One worker finishes what it serves and is replaced',
  'dirty add [N] [APP]': 'N task processes more (1), of APP where there are several',
  'dirty remove [N] [APP]': 'N task processes less (1)',
  reload: 'New configuration and code, as HUP',
  reopen: 'Opens the log files anew, as USR1',
  'shutdown [graceful|quick]': 'Ends the server, after what is being served (graceful) or at once',
  help: 'This list',
}

// ── show ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

async function show(program: RunningProgram, [target]: readonly string[]): Promise<Data> {
  switch (target?.toLowerCase()) {
    case undefined:
      throw new CommandError('Missing show target (all|workers|dirty|config|stats|listeners|status)')
    case 'all':
      return await showAll(program)
    case 'workers': {
      const workers = await shownWorkers(program)
      return { workers, count: workers.length }
    }
    case 'dirty':
      return showDirty(program)
    case 'config':
      return program.settings
    case 'stats':
      return showStats(program)
    case 'status': {
      const { showStatus } = await import('./status.ts')
      return await showStatus(program)
    }
    case 'listeners':
      return { listeners: program.listeners, count: program.listeners.length }
    default:
      throw new CommandError(`Unknown show target: ${target?.toLowerCase()}`)
  }
}

/** The oldest first. A worker's signs of life are its answers: there is no heartbeat. */
async function shownWorkers(program: RunningProgram): Promise<Data[]> {
  const requests = await program.requests()
  const { workers, apps } = program
  const several = apps.length > 1
  const shown = ({ pid, age, state, aborted, app }: Worker): Data => ({
    pid,
    age,
    booted: state !== 'starting',
    aborted,
    last_heartbeat: null,
    state,
    ...(requests.has(pid) ? { requests: requests.get(pid) } : {}),
    ...(several ? { app } : {}),
  })
  return workers.toSorted((a, b) => a.age - b.age).map(shown)
}

async function showAll(program: RunningProgram): Promise<Data> {
  const web = (await shownWorkers(program)).map(({ aborted: _aborted, ...one }) => ({ ...one, type: 'web' }))
  const tasks = allTasks(program)
  const workers = tasks.flatMap(one => one.workers)
  const [first] = tasks
  return {
    arbiter: { pid: program.pid, type: 'arbiter', role: 'master' },
    front: program.front === 0 ? null : { pid: program.front, type: 'front' },
    web_workers: web,
    web_worker_count: web.length,
    dirty_arbiter: first === undefined ? null : { pid: first.pid, type: 'dirty_arbiter', role: 'dirty master' },
    dirty_workers: workers,
    dirty_worker_count: workers.length,
  }
}

function showStats(program: RunningProgram): Data {
  const { startedMs, spawned, killed, reloads } = program.stats
  return {
    uptime: Math.round((Date.now() - startedMs) / 10) / 100,
    pid: program.pid,
    workers_current: program.workers.length,
    workers_target: program.apps.reduce((count, app) => count + app.wanted, 0),
    workers_spawned: spawned,
    workers_killed: killed,
    reloads,
    dirty_arbiter_pid: allTasks(program)[0]?.pid ?? null,
  }
}

function showDirty(program: RunningProgram): Data {
  const tasks = allTasks(program)
  return {
    enabled: tasks.length > 0,
    pid: tasks[0]?.pid ?? null,
    workers: tasks.flatMap(one => one.workers),
    apps: tasks.flatMap(one => one.apps),
  }
}

function allTasks({ apps }: RunningProgram): NonNullable<ReturnType<NonNullable<App['tasks']>['show']>>[] {
  return apps.map(app => app.tasks?.show() ?? null).filter(one => one !== null)
}

// ── workers and task processes ───────────────────────────────────────────────────────────────────────────────────────

function worker(program: RunningProgram, [action, ...args]: readonly string[]): Data {
  switch (action?.toLowerCase()) {
    case undefined:
      throw new CommandError('Missing worker action (add|remove|kill)')
    case 'add': {
      const { app, count } = which(program.apps, args)
      const { previous, total } = app.resize(count)
      return { added: total - previous, previous, total }
    }
    case 'remove': {
      const { app, count } = which(program.apps, args)
      const { previous, total } = app.resize(-count)
      return { removed: previous - total, previous, total }
    }
    case 'kill':
      return kill(program, args)
    default:
      throw new CommandError(`Unknown worker action: ${action?.toLowerCase()}`)
  }
}

function kill(program: RunningProgram, [word]: readonly string[]): Data {
  if (word === undefined) throw new CommandError('Missing PID for worker kill')
  const pid = integer(word)
  if (program.endWorker(pid)) return { success: true, killed: pid }
  return { success: false, error: `Worker ${pid} not found` }
}

/** `[N] [APP]`: both may be left out, the name only where there is one application. */
function which(apps: readonly App[], args: readonly string[]): { readonly app: App; readonly count: number } {
  const named = apps.find(app => app.name === args.at(-1))
  const numbers = named === undefined ? args : args.slice(0, -1)
  const [first] = apps
  if (first === undefined) throw new CommandError('there is no application')
  const count = countOf(numbers)
  if (numbers.length > 1) throw new CommandError(`there is no application "${numbers[1]}"`)
  if (named === undefined && apps.length > 1) {
    const names = apps.map(app => `"${app.name}"`).join(', ')
    throw new CommandError(`there are several applications, name one: ${names}`)
  }
  return { app: named ?? first, count }
}

/** As with Gunicorn, less than one is one. */
function countOf([word]: readonly string[]): number {
  return word === undefined ? 1 : Math.max(1, integer(word))
}

function integer(word: string): number {
  if (/^\s*[+-]?\d+(?:_\d+)*\s*$/.test(word)) return Number(word.replaceAll('_', ''))
  throw new CommandError(`"${word}" is no whole number`)
}

async function dirty({ apps }: RunningProgram, [action, ...args]: readonly string[]): Promise<TaskChange> {
  const name = action?.toLowerCase()
  if (name === undefined) throw new CommandError('Missing dirty action (add|remove)')
  if (name !== 'add' && name !== 'remove') throw new CommandError(`Unknown dirty action: ${name}`)
  const running = apps.filter(app => (app.tasks?.show() ?? null) !== null)
  if (running.length === 0) return { success: false, error: 'Dirty arbiter not running' }
  const { app, count } = which(running, args)
  return await app.tasks![name](count)
}

function shutdown(mode: string): Done {
  if (mode !== 'graceful' && mode !== 'quick') throw new CommandError(`Unknown shutdown mode: ${mode}`)
  return { data: { status: 'shutting_down', mode }, order: mode === 'quick' ? 'terminate' : 'quit' }
}
