import { resolve } from 'node:path'
import { BinderyError } from '../base/error.ts'
import { httpMirror } from '../engine/pkg/index/http-mirror.ts'
import { mirrorFolder } from '../host/mirror-folder.ts'
import type { PackageMirror } from '../port/package-mirror.ts'
import type { Context } from './command.ts'

/** Of one exchange: a head of some kilobytes, or a list of some megabytes. */
const exchangeSeconds = 120

export function isUrl(place: string): boolean {
  return /^https?:\/\//i.test(place)
}

/** A folder here, or one behind HTTP. */
export function mirrorAt(context: Pick<Context, 'http' | 'signal'>, place: string): PackageMirror {
  if (!isUrl(place)) return mirrorFolder(resolve(place))
  const url = place.endsWith('/') ? place : `${place}/`
  return httpMirror({ url, http: context.http, deadline: () => AbortSignal.any([context.signal, afterSeconds(exchangeSeconds)]) })
}

function afterSeconds(seconds: number): AbortSignal {
  const controller = new AbortController()
  const late = new BinderyError('network', `took more than ${seconds} s`)
  setTimeout(() => controller.abort(late), seconds * 1000).unref()
  return controller.signal
}
