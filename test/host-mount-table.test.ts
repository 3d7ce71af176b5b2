import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mountsOfTree, parseMounts, typeAt } from '../src/host/mount-table.ts'

/** ID PARENT POINT TYPE, a mount a line, as proc_pid_mountinfo(5) has it. */
function table(text: string): ReturnType<typeof parseMounts> {
  const line = (words: string): string => {
    const [id, parent, point, type] = words.trim().split(' ')
    return `${id} ${parent} 0:1 / ${point} rw,relatime shared:1 master:2 - ${type} source rw\n`
  }
  return parseMounts(text.trim().split('\n').map(line).join(''))
}

const folders = (): boolean => true

test('file systems below a root, parents first, without those of the kernel and of one boot', () => {
  const mounts = table(`
    1 0 / ext4
    2 1 /proc proc
    3 1 /usr/local zfs
    4 1 /usr ext4
    5 1 /run tmpfs
    6 5 /run/user/1000 tmpfs
    7 1 /home btrfs
    8 7 /home/ftp/dev devtmpfs
    9 1 /dev devtmpfs
    10 9 /dev/shm tmpfs
    11 7 /home/with\\040space ext4
    12 1 /mnt autofs
    13 12 /mnt/nfs nfs4
  `)
  // What is at /usr/local came before /usr, and is hidden by it.
  assert.deepEqual(mountsOfTree(mounts, '/', folders).inside, ['.', 'usr', 'home', 'home/with space'])
  assert.deepEqual(mountsOfTree(mounts, '/home', folders).inside, ['.', 'with space'])
  assert.deepEqual(mountsOfTree(mounts, '/hom', folders).inside, ['.'])
})

test('the root file system of an initramfs is its own parent, and no mount is above itself', () => {
  const initramfs = table(`
    1 1 / rootfs
    2 1 /srv ext4
  `)
  assert.deepEqual(mountsOfTree(initramfs, '/', folders).inside, ['.', 'srv'])
  assert.equal(typeAt(initramfs, '/etc'), 'rootfs')
  const covered = table(`
    1 1 / rootfs
    2 1 / ext4
    3 2 /srv ext4
  `)
  assert.equal(typeAt(covered, '/etc'), 'ext4')
  const strange = table(`
    1 0 / ext4
    2 2 /srv ext4
    3 4 /mnt ext4
    4 3 /mnt ext4
  `)
  assert.deepEqual(mountsOfTree(strange, '/', folders).inside, ['.'])
  assert.deepEqual(mountsOfTree(strange.slice(1), '/', folders).inside, ['.', 'srv'])
})

test('mounts on top of each other are one, and one on a file is none', () => {
  const mounts = table(`
    1 0 / ext4
    2 1 /srv ext4
    3 2 /srv tmpfs
    4 3 /srv/deep ext4
    5 1 /etc/hosts ext4
    6 1 /sys/old ext4
    7 1 /data ext4
    8 7 /data proc
  `)
  assert.deepEqual(mountsOfTree(mounts, '/', (path) => path !== 'etc/hosts').inside, ['.', 'srv', 'srv/deep'])
})

test('a system whose first mount is hidden by another', () => {
  const mounts = table(`
    1 1 / rootfs
    2 1 / ext4
    3 2 /srv ext4
  `)
  assert.deepEqual(mountsOfTree(mounts, '/', folders).inside, ['.', 'srv'])
})
