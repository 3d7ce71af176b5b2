import { emptyBytes, release } from '../../base/bytes.ts'
import { unreachable } from '../../base/error.ts'
import { closeNew } from './gzip/section.ts'
import { newChains } from './gzip/predict.ts'
import { imageDecoder } from './image/decode.ts'
import type { Chains } from './gzip/predict.ts'

/**
 * What is long about a delta: executables and gzip files, one after the other. Here and on a thread alike, so tasks are data
 * (port/thread.ts), and what is made stays here until it is taken, piece by piece.
 */
export type SectionTask =
  /** The streams of the batch that comes next. */
  | { readonly kind: 'batch'; readonly images: Uint8Array; readonly imageChanges: Uint8Array }
  /** `bad-format` where streams were not used up. */
  | { readonly kind: 'batchEnd' }
  /** `old`: in one piece, or in the two that a ring has. */
  | { readonly kind: 'image'; readonly old: readonly Uint8Array[]; readonly size: number; readonly plainLiterals: Uint8Array | undefined }
  /** `content` and its memory are given away. */
  | { readonly kind: 'gzip'; readonly content: Uint8Array; readonly recipe: Uint8Array; readonly size: number }
  /** Puts the next of the bytes made into `target`. */
  | { readonly kind: 'take'; readonly target: Uint8Array }

type SectionWork = (task: SectionTask) => void

/** `memory`: what the delta's header grants. Throws what is wrong with the delta. */
export function sectionWork(memory: number): SectionWork {
  const images = imageDecoder(memory)
  let chains: Chains | undefined
  let made: Uint8Array = emptyBytes
  let taken = 0
  const takeInto = (target: Uint8Array): void => {
    target.set(made.subarray(taken, taken + target.length))
    taken += target.length
  }
  return (task) => {
    switch (task.kind) {
      case 'batch':
        return images.begin(task.images, task.imageChanges)
      case 'batchEnd':
        return images.finish()
      case 'image':
        made = images.decode(task.old, task.size, task.plainLiterals)
        taken = 0
        return
      case 'gzip':
        made = closeNew(task.content, task.recipe, task.size, (chains ??= newChains()))
        taken = 0
        return release(task.content)
      case 'take':
        return takeInto(task.target)
      default:
        return unreachable(task)
    }
  }
}
