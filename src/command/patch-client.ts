import { patchCommand } from './patch-delta.ts'
import type { Command } from './command.ts'

/** `patch` of the client alone, which opens no containers. */
export const patch: Command = patchCommand(undefined)
