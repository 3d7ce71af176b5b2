/** A signed text still has no business with the terminal's control codes, nor with the order in which it shows what stands there. */
export function showText(text: string): string {
  return text.replaceAll(unseen, '?')
}

/** For what goes on in the same line. */
export function showLine(text: string): string {
  return showText(text).replaceAll(/[\n\u2028\u2029]+/g, ' ')
}

/** Beside the control characters, those that turn the direction of what follows: a name could look like another one. */
const unseen = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g

/** Whether it is one line that looks like what it is. */
export function isPlainLine(text: string): boolean {
  return text === showText(text) && !/[\t\n\u2028\u2029]/.test(text)
}
