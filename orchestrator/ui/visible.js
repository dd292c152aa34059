// Text of strangers that scripts show: characters that hide, reorder or control text are written out, as the templates do.
// The engine fills in the class of characters.
const HIDDEN = /HIDDEN_SIGNS/gu;
const SHORT = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

export function visible(text) {
  return text.replace(HIDDEN, (sign) => SHORT[sign] || `\\u${sign.codePointAt(0).toString(16).padStart(4, "0")}`);
}
