// Texts of strangers that scripts show: signs that hide, reorder or steer are written out, as the templates do. The engine fills in which.
const HIDDEN = /HIDDEN_SIGNS/gu;
const SHORT = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

export function visible(text) {
  return text.replace(HIDDEN, (sign) => SHORT[sign] || `\\u${sign.codePointAt(0).toString(16).padStart(4, "0")}`);
}
