import type { OrderRules } from '../commit-order.ts'

export const linuxOrder: OrderRules = {
  // glibc: ld-linux-x86-64.so.2, ld-linux.so.2, ld64.so.2, ld.so.1, ld-2.31.so; musl: ld-musl-x86_64.so.1.
  linker: ['/{,usr/}lib*/{,*/}ld{-linux*,-musl-*,,64,-[0-9]*}.so{,.*}'],
  // `libc-2.31.so` is what libc.so.6 leads to before glibc 2.34; musl's is `libc.musl-x86_64.so.1` or `libc.so`.
  libc: ['/{,usr/}lib{,32,64,x32}/{,*/}libc{,-[0-9]*,.musl-*}.so{,.*}'],
  // One release of glibc: they call each other by names that change with it (GLIBC_PRIVATE), and so do the converters.
  peers: [
    '/{,usr/}lib*/{,*/}lib{m,mvec,dl,rt,pthread,resolv,anl,nsl,nss_*,thread_db,BrokenLocale,c_malloc_debug}{,-[0-9]*}.so{,.*}',
    '/{,usr/}lib*/{,*/}gconv/*.so',
  ],
  database: [
    '/etc/ld.so.cache',
    '/{,usr/}lib*/{,*/}gconv/gconv-modules.cache',
    '/usr/lib/locale/locale-archive',
    '/{etc,lib,usr/lib}/udev/hwdb.bin',
    '/usr/share/mime/mime.cache',
    '/var/cache/man/**',
  ],
  boot: ['/{boot,efi}/**', '/{,usr/}lib/modules/**', '/{vmlinuz,initrd.img}{,.old}'],
}
