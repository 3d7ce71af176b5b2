import { execFileSync } from 'node:child_process'
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { System } from './systems.ts'

/** A machine of that release: its files, and what an installation makes of its own and no release has. */
export function makeMachine({ base, kernel }: System, root: string): void {
  execFileSync('cp', ['-a', base, root])
  // Folders of the kernel's that the base has, too, are as the base has them.
  if (kernel !== undefined) execFileSync('bash', ['-c', 'tar -C "$1" -c . | tar -C "$2" -xp --skip-old-files', 'bash', kernel, root])
  makeAccounts(root)
  makeDevices(root)
  makeLinks(root)
  inside(root, ['ldconfig'])
  // As udev's own script does: beside the files, not in /etc.
  if (existsSync(join(root, 'usr/bin/systemd-hwdb'))) inside(root, ['systemd-hwdb', '--usr', 'update'])
  for (const version of kernel === undefined ? [] : readdirSync(join(kernel, 'usr/lib/modules'))) inside(root, ['depmod', version])
}

function makeAccounts(root: string): void {
  for (const name of ['passwd', 'group']) {
    const master = join(root, `usr/share/base-passwd/${name}.master`)
    if (existsSync(master)) copyFileSync(master, join(root, 'etc', name))
    else writeFileSync(join(root, 'etc', name), name === 'passwd' ? 'root::0:0:root:/root:/bin/sh\n' : 'root::0:\n')
  }
  appendFileSync(join(root, 'etc/passwd'), 'operator:*:1000:1000:Operator:/home/operator:/bin/sh\n')
}

function makeDevices(root: string): void {
  mkdirSync(join(root, 'dev'), { recursive: true })
  for (const [name, minor] of [
    ['null', '3'],
    ['urandom', '9'],
  ] as const)
    execFileSync('mknod', ['-m', '666', join(root, 'dev', name), 'c', '1', minor])
}

/** As update-alternatives(1) makes them. */
function makeLinks(root: string): void {
  if (!existsSync(join(root, 'usr/bin/mawk'))) return
  symlinkSync('/usr/bin/mawk', join(root, 'etc/alternatives/awk'))
  symlinkSync('/etc/alternatives/awk', join(root, 'usr/bin/awk'))
}

export function inside(root: string, words: readonly string[]): void {
  execFileSync('chroot', [root, ...words], { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }, stdio: ['ignore', 'ignore', 'inherit'] })
}
