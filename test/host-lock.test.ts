import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { hostLocker } from '../src/host/lock.ts'
import { needsRoot } from './helpers/programs.ts'

async function inFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'bindery-lock-'))
  try {
    await use(folder)
  } finally {
    await rm(folder, { recursive: true })
  }
}

const linux = existsSync('/proc/self/ns/pid') ? {} : { skip: 'no /proc/self/ns on this system' }

const holder = (pid: number, started: string, host = hostname()): string =>
  `bindery-lock 1\npid ${pid}\nhost ${host}\nstarted ${started}\nverb install\n`

test('the second of two is told who has the lock', async () => {
  await inFolder(async (folder) => {
    const lock = await hostLocker(folder).take('install')
    await assert.rejects(hostLocker(folder).take('check'), { code: 'locked', message: `'install' is running as process ${process.pid}` })
    await lock.release()
    await (await hostLocker(folder).take('check')).release()
    assert.deepEqual(await readdir(folder), [])
  })
})

test('what a dead process left is swept away', async () => {
  await inFolder(async (folder) => {
    const child = spawn('true')
    await new Promise((resolve) => child.once('close', resolve))
    await writeFile(join(folder, `${child.pid}.x`), holder(child.pid as number, 'whenever'))
    await writeFile(join(folder, 'no-number.y'), '')
    const lock = await hostLocker(folder).take('check')
    assert.equal((await readdir(folder)).length, 1)
    await lock.release()
  })
})

test('a process id that was given away again is no holder', async () => {
  await inFolder(async (folder) => {
    await writeFile(join(folder, `${process.ppid}.x`), holder(process.ppid, 'in another boot'))
    await (await hostLocker(folder).take('check')).release()
  })
})

test('a process that has ended holds nothing, though nobody has taken note of that yet', linux, async () => {
  await inFolder(async (folder) => {
    // sleep(1) asks for the end of none of its children; the shell before it would, so that the child waits for sleep(1).
    const child = 'until read -r name < /proc/$$/comm && [ "$name" = sleep ]; do :; done'
    const parent = spawn('sh', ['-c', `(${child}) & echo $!; exec sleep 60`], { stdio: ['ignore', 'pipe', 'ignore'] })
    try {
      const [line] = (await once(parent.stdout, 'data')) as [Buffer]
      const pid = Number(line.toString())
      while (!/\) Z /.test(await readFile(`/proc/${pid}/stat`, 'latin1'))) await setTimeout(5)
      await writeFile(join(folder, `${pid}.x`), holder(pid, '-'))
      await (await hostLocker(folder).take('check')).release()
      assert.deepEqual(await readdir(folder), [])
    } finally {
      parent.kill()
    }
  })
})

test('a lock from another container is not taken away before the next start of the system', linux, async () => {
  await inFolder(async (folder) => {
    const boot = (await readFile('/proc/sys/kernel/random/boot_id', 'latin1')).trim()
    // No process has such a number.
    const text = (start: string): string => `${holder(2 ** 31 - 1, `1@${start}`)}space pid:[1]\n`
    await writeFile(join(folder, '1.x'), text(boot))
    await assert.rejects(hostLocker(folder).take('check'), { code: 'locked', message: /of another container/, hint: /container.*remove/ })
    await writeFile(join(folder, '1.x'), text('another'))
    await (await hostLocker(folder).take('check')).release()
    assert.deepEqual(await readdir(folder), [])
  })
})

test('a lock from another host is never taken away', async () => {
  await inFolder(async (folder) => {
    await writeFile(join(folder, '1.x'), holder(1, 'x', 'elsewhere.example.org'))
    await assert.rejects(hostLocker(folder).take('check'), { code: 'locked', message: /on elsewhere\.example\.org/, hint: /remove/ })
    assert.deepEqual(await readdir(folder), ['1.x'])
  })
})

test('a file that does not say whose it is counts for nobody, whatever process has its number', async () => {
  await inFolder(async (folder) => {
    for (const left of ['', 'bindery-lock 1\npid 1\nho']) {
      await writeFile(join(folder, `${process.ppid}.x`), left)
      await (await hostLocker(folder).take('check')).release()
      assert.deepEqual(await readdir(folder), [])
    }
  })
})

test('a file that is still being written holds nothing, and goes with its process', async () => {
  await inFolder(async (folder) => {
    const child = spawn('true')
    await new Promise((resolve) => child.once('close', resolve))
    const [alive, dead] = [`${process.ppid}.x.new`, `${child.pid}.y.new`]
    for (const name of [alive, dead]) await writeFile(join(folder, name), '')
    await (await hostLocker(folder).take('check')).release()
    assert.deepEqual(await readdir(folder), [alive])
  })
})

test('a full disk leaves no file behind', needsRoot(), async (t) => {
  await inFolder(async (folder) => {
    if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4k', 'tmpfs', folder], { stdio: 'ignore' }).status !== 0)
      return t.skip('file systems cannot be mounted here')
    try {
      await writeFile(join(folder, 'full'), new Uint8Array(4096))
      await assert.rejects(hostLocker(folder).take('check'), { code: 'no-space' })
      assert.deepEqual(await readdir(folder), ['full'])
    } finally {
      spawnSync('umount', [folder])
    }
  })
})

test(
  'a disk that does not let the file go takes nothing from what was done, and does not lock its own process out',
  needsRoot(),
  async (t) => {
    await inFolder(async (folder) => {
      const mount = (...words: readonly string[]): number | null => spawnSync('mount', words).status
      if (mount('-t', 'tmpfs', 'lock', folder) !== 0) return t.skip('nothing can be mounted here')
      try {
        const lock = await hostLocker(folder).take('install')
        assert.equal(mount('-o', 'remount,ro', folder), 0)
        await lock.release()
        assert.equal((await readdir(folder)).length, 1)
        mount('-o', 'remount,rw', folder)
        await (await hostLocker(folder).take('check')).release()
        assert.deepEqual(await readdir(folder), [])
      } finally {
        spawnSync('umount', [folder])
      }
    })
  },
)

test('of many at once, never two have it', async () => {
  await inFolder(async (folder) => {
    const results = await Promise.allSettled(Array.from({ length: 20 }, async () => await hostLocker(folder).take('check')))
    assert.ok(results.filter(({ status }) => status === 'fulfilled').length <= 1)
  })
})

test('without a state folder nothing is enrolled', async () => {
  await inFolder(async (folder) => {
    await assert.rejects(hostLocker(join(folder, 'missing')).take('check'), { code: 'not-enrolled' })
  })
})

test('why a lock cannot be taken is told', async () => {
  const locker = hostLocker(join(tmpdir(), 'n'.repeat(300)))
  await assert.rejects(locker.take('install'), { code: 'io', message: 'cannot take the lock: the name is too long for the file system' })
})
