import { showPath } from '../base/path.ts'
import type { RelPath } from '../base/path.ts'
import type { Context } from './command.ts'

export function tellLeftOut(context: Context, sockets: readonly RelPath[]): void {
  for (const path of sockets) context.say(`${showPath(path)}: a socket, left out`)
}
