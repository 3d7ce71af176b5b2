import { endianness } from 'node:os'

/** What the BSDs call the processors that node names differently. */
const names: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: 'i386',
  ppc: 'powerpc',
  ppc64: endianness() === 'LE' ? 'powerpc64le' : 'powerpc64',
  loong64: 'loongarch64',
}

/** The architecture that this machine's own dists are named after: `amd64`, `arm64`, `riscv64`… */
export function hostArch(): string {
  return names[process.arch] ?? process.arch
}
