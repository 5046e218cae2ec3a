// wait_ready: some programs listen before they can serve, and say so themselves when they can, as pm2 (wait_ready) and others that
// start processes want to be told: process.send('ready'), or a message whose `ready` is true.

let isReady = true
let held: (() => void) | null = null

/** From now on whenReady() waits for the program's word. */
export function awaitReady(): void {
  isReady = false
  const send = process.send!.bind(process) as (...args: unknown[]) => boolean
  process.send = (...args: unknown[]): boolean => {
    if (saysReady(args[0])) beReady()
    return send(...args)
  }
}

/** Calls it now or then; of several the last one. */
export function whenReady(then: () => void): void {
  if (isReady) then()
  else held = then
}

export function beReady(): void {
  isReady = true
  held?.()
  held = null
}

function saysReady(message: unknown): boolean {
  return message === 'ready' || (message as { readonly ready?: unknown } | null | undefined)?.ready === true
}
