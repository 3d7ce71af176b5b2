import type { OrderRules } from '../commit-order.ts'

export const dragonflyOrder: OrderRules = {
  linker: ['/{,usr/}libexec/ld-elf*'],
  libc: ['/{,usr/}lib/libc.so{,.*}'],
  peers: ['/{,usr/}lib/lib{thread_xu,pthread,c_r,m,rt}.so{,.*}'],
  database: ['/var/run/ld-elf*.so.hints', '/usr/{share,local/share,local}/**/mandoc.db'],
  boot: ['/boot/**'],
}
