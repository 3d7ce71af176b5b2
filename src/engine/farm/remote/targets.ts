import type { Sha256 } from '../../../base/digest.ts'

/** Where the calls of builders go, below the URL of the farm. */

export const callsPath = '/builder/v1'

export const claimTarget = `${callsPath}/claim`

export function beatTarget(lease: number): string {
  return `${callsPath}/lease/${lease}/beat`
}

export function endTarget(lease: number): string {
  return `${callsPath}/lease/${lease}/end`
}

export function logTarget(lease: number, at: number): string {
  return `${callsPath}/lease/${lease}/log?at=${at}`
}

export type WholeFile = { readonly file: string; readonly size: number; readonly sha256: Sha256 }

export function fileTarget(lease: number, { file, size, sha256 }: WholeFile, at: number): string {
  return `${callsPath}/lease/${lease}/file/${encodeURIComponent(file)}?at=${at}&size=${size}&sha256=${sha256}`
}
