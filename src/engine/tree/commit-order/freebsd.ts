import type { OrderRules } from '../commit-order.ts'

/** The order of freebsd-update(8) of FreeBSD 15. */
export const freebsdOrder: OrderRules = {
  linker: ['/{,usr/}libexec/ld-elf*'],
  // System calls, below libc.
  libsys: ['/{,usr/}lib{,32}/libsys.so{,.*}'],
  libc: ['/{,usr/}lib{,32}/libc.so{,.*}'],
  peers: ['/{,usr/}lib{,32}/lib{thr,pthread,m,rt,gcc_s}.so{,.*}'],
  database: [
    '/var/run/ld-elf*.so.hints',
    '/var/db/services.db',
    '/usr/share/misc/termcap.db',
    '/usr/{share,local/share,local}/**/mandoc.db',
  ],
  boot: ['/boot/**'],
}
