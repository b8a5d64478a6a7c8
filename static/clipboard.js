// To the clipboard, also where the page came by plain HTTP and a browser offers no better way.

export async function copy(text) {
  if (navigator.clipboard && window.isSecureContext) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      // The reader has forbidden it, or the window has lost the focus.
    }
  }
  return copyByHand(text);
}

// Copies, and says on the button for a moment whether it worked.
export async function copyBy(button, text) {
  const before = button.dataset.says ?? button.textContent;
  button.dataset.says = before;
  button.textContent = (await copy(text)) ? "Copied" : "Not copied";
  clearTimeout(Number(button.dataset.timer));
  button.dataset.timer = setTimeout(() => (button.textContent = before), 1500);
}

function copyByHand(text) {
  const box = document.createElement("textarea");
  const focused = document.activeElement;
  box.value = text;
  box.className = "visually-hidden";
  document.body.append(box);
  box.select();
  const isDone = document.execCommand("copy");
  box.remove();
  focused?.focus({ preventScroll: true });
  return isDone;
}
