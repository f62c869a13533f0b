/* Buttons with data-confirm open a confirmation dialog. data-confirm is its title, data-confirm-text explains the
   consequences, data-confirm-label labels its button. data-confirm-count="#form [name=id]:checked" replaces "{count}"
   with the number of matches and skips the dialog if there are none. Without this script, the buttons act immediately.
   */
"use strict";

let asked = null;

function question() {
  return document.getElementById("confirm-dialog");
}

function countFor(button) {
  return button.dataset.confirmCount ? document.querySelectorAll(button.dataset.confirmCount).length : null;
}

/* "{count:request}" becomes "1 request" or "3 requests". */
function counted(text, count) {
  return text.replace(/\{count:(\w+)\}/g, (_, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`);
}

function ask(button, count) {
  const dialog = question();
  const { confirm, confirmText, confirmLabel } = button.dataset;
  dialog.querySelector("h2").textContent = counted(confirm, count);
  dialog.querySelector("p").textContent = counted(confirmText || "", count);
  dialog.querySelector("[type=submit]").textContent = counted(confirmLabel || button.textContent.trim(), count);
  asked = button;
  openDialog(dialog);
}

/* In the capture phase, before htmx and the form handle the click. */
document.addEventListener(
  "click",
  (event) => {
    const button = event.target.closest?.("[data-confirm]");
    const count = button && countFor(button);
    if (!button || button.dataset.confirmed || count === 0) {
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
    ask(button, count);
  },
  true,
);

/* A refresh may have replaced the button while the dialog was open. */
function act() {
  const button = asked.isConnected ? asked : document.getElementById(asked.id);
  if (button) {
    button.dataset.confirmed = "yes";
    button.click();
    delete button.dataset.confirmed;
  }
}

document.addEventListener("submit", (event) => {
  if (event.target.closest("dialog") === question()) {
    event.preventDefault();
    question().close();
    act();
  }
});
