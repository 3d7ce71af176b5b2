import { existsSync, readdirSync } from 'node:fs'
import type { SandboxJob } from '../port/sandbox.ts'
import type { JobPlace } from './job-namespaces.ts'

/** The library and how far it moves the clock, for the shell below; both empty where there is none, or nothing to move. */
export function clockWords({ root, folder, env }: JobPlace, { clockAheadSeconds }: SandboxJob): readonly [library: string, ahead: string] {
  // Outside of a tree, shared memory is hidden: whoever works there needs it.
  const needsMemory = root === undefined && [folder, ...Object.values(env ?? {})].some((path) => path.startsWith('/dev/shm'))
  const library = clockAheadSeconds === undefined || needsMemory ? undefined : clockLibrary()
  return library === undefined ? ['', ''] : [library, String(clockAheadSeconds)]
}

/** libfaketime, where this system has it: preloaded, it answers programs that ask libc for the time. */
function clockLibrary(): string | undefined {
  const files = folders().flatMap((folder) => names.map((name) => `${folder}/faketime/${name}`))
  return files.find((file) => existsSync(file))
}

/** The first one is for programs with threads as well. */
const names = ['libfaketimeMT.so.1', 'libfaketime.so.1']

/** Where Debian, Fedora, Arch and those who build it themselves have it. */
function folders(): readonly string[] {
  const machine = { x64: 'x86_64', arm64: 'aarch64' }[process.arch as string] ?? process.arch
  const debian = readdirSync('/usr/lib').filter((name) => name.startsWith(`${machine}-`))
  return [...debian.map((name) => `/usr/lib/${name}`), '/usr/lib64', '/usr/lib', '/usr/local/lib']
}

/**
 * For the first process of a job, with `library` and `ahead` set, `root` or not: the library is copied where the tree's /dev
 * is, which is no part of the tree, and that becomes ours, too, since the program that enters the tree is preloaded already.
 * A segment of shared memory, which libfaketime leaves behind, goes away with it.
 */
export const placeClock = `
if [ -z "$root" ]; then
  [ ! -d /dev/shm ] || mount -t tmpfs -o mode=1777 tmpfs /dev/shm
elif [ -d "$root/dev/shm" ] && [ ! -L "$root/dev" ]; then
  cp "$library" "$root/dev/clock.so"
  chmod 644 "$root/dev/clock.so"
  mount --bind "$root/dev" /dev
  library=/dev/clock.so
else
  library=
fi`

/**
 * FAKE_UTIME: what touch(1) writes is the true time, since that is what make(1) compares it with: the library cannot change
 * what stat(2) says to programs of today's libc. Timeouts go by the monotonic clock, which stays as it is.
 */
export const preloadClock = `
[ -z "$library" ] ||
  set -- "LD_PRELOAD=$library" "FAKETIME=+$ahead" FAKE_UTIME=1 FAKETIME_DONT_FAKE_MONOTONIC=1 "$@"`
