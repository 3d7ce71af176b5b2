/** OpenBSD's machine and the architecture of its processor, both of which a port's lists of architectures may name (arch(1)). */
const processors: Readonly<Record<string, string>> = {
  arm64: 'aarch64',
  armv7: 'arm',
  landisk: 'sh',
  loongson: 'mips64el',
  luna88k: 'm88k',
  macppc: 'powerpc',
  octeon: 'mips64',
}

export function archNames(arch: string): readonly string[] {
  const machine = Object.keys(processors).find((name) => processors[name] === arch)
  return [arch, processors[arch] ?? machine ?? arch]
}
