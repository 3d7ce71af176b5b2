import { copyFileSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { hostDisk } from '../../src/host/disk.ts'
import { plant } from './plant.ts'
import type { Literal } from './plant.ts'

const programs =
  'cat chmod chown cp cut date dd env head hostname id ln ls mkdir mkfifo mknod mount mv printf ps rm rmdir sed sh sleep touch truncate yes'

/** A tree that commands can live in: busybox under some of its names in `bin`, and what `literal` adds. */
export async function plantWorld(root: string, literal: Literal = {}): Promise<void> {
  mkdirSync(join(root, 'bin'), { recursive: true })
  for (const folder of ['dev', 'proc', 'tmp']) mkdirSync(join(root, folder))
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'))
  for (const name of programs.split(' ')) symlinkSync('busybox', join(root, 'bin', name))
  await plant(hostDisk(root), literal)
}
