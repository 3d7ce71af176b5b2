/** For people: `812 bytes`, `61 kB`, `9.5 MB`, `95 MB`, `1.2 GB`; decimal units, two digits where they tell something. */
export function showSize(bytes: number): string {
  if (bytes === 1) return '1 byte'
  if (bytes < 1000) return `${bytes} bytes`
  const power = Math.min(units.length, Math.floor(Math.log10(bytes) / 3))
  const value = bytes / 1000 ** power
  // 999.6 kB would be shown as 1000 kB.
  if (value >= 999.5 && power < units.length) return `1.0 ${units[power] as string}`
  return `${value < 9.95 ? value.toFixed(1) : value.toFixed(0)} ${units[power - 1] as string}`
}

const units = ['kB', 'MB', 'GB', 'TB'] as const
