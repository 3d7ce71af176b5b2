import type { OrderRules } from '../commit-order.ts'

export const netbsdOrder: OrderRules = {
  linker: ['/{,usr/}libexec/ld.elf*'],
  libc: ['/{,usr/}lib/libc.so{,.*}'],
  peers: ['/{,usr/}lib/lib{pthread,m,rt,gcc_s}.so{,.*}'],
  database: ['/var/db/*.{db,cdb}', '/usr/share/misc/*.{db,cdb}'],
  boot: ['/{netbsd,onetbsd}{,.*}', '/{boot,ofwboot}{,.*}', '/stand/**', '/usr/mdec/**'],
}
