// How the error log tells that an application has given no response, or not all of it.

import {
  NOT_LOADED,
  QUEUE_FULL,
  QUEUE_TIMEOUT,
  WORKER_FAILED,
  WORKER_LOST,
  WORKER_TIMEOUT,
} from '../../app/dispatch/call.ts'
import type { AppExchange } from './exchange.ts'

/** @param why as Call.onFailure() is told @param pid the worker's */
export function describeFailure(x: AppExchange, why: number, pid: number): string {
  const app = `app "${x.appName}"`
  switch (why) {
    case NOT_LOADED:
      return `${app} could not be loaded`
    case QUEUE_FULL:
      return `${app}: too many requests are waiting`
    case QUEUE_TIMEOUT:
      return `${app}: no worker became free in time`
    case WORKER_LOST:
      return `${app}: worker process ${pid} prematurely closed connection while reading response ${part(x)}`
    case WORKER_TIMEOUT: {
      const seconds = (x.appMs / 1000).toFixed(3)
      return `${app}: worker process ${pid} timed out after ${seconds} seconds while reading response ${part(x)}`
    }
    case WORKER_FAILED:
      return `${app}: worker process ${pid} could not complete its response`
    default:
      return `${app}: failed`
  }
}

function part({ answered }: AppExchange): string {
  return answered ? 'body from worker' : 'header from worker'
}
