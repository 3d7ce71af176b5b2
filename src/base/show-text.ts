/** A signed text still has no business with the terminal's control codes. */
export function showText(text: string): string {
  return text.replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g, '?')
}
