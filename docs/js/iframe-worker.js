// Search needs a worker, and browsers refuse workers in pages opened from disk. There, a hidden frame runs its script.
// The theme's offline plugin would load a script from a CDN for this; it accepts this one because of the file's name.
class FrameWorker extends EventTarget {
  constructor(url) {
    super();
    this.frame = Object.assign(document.createElement("iframe"), { hidden: true });
    document.body.append(this.frame);
    const inner = this.frame.contentWindow;
    this.receive = (event) => {
      if (event.source === inner) this.dispatchEvent(new MessageEvent("message", { data: event.data }));
    };
    addEventListener("message", this.receive);
    inner.postMessage = (data) => dispatchEvent(new MessageEvent("message", { data, source: inner }));
    const script = Object.assign(inner.document.createElement("script"), { src: url });
    this.ready = new Promise((resolve, reject) => Object.assign(script, { onload: resolve, onerror: reject }));
    inner.document.body.append(script);
  }

  async postMessage(data) {
    await this.ready;
    this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data: structuredClone(data) }));
  }

  terminate() {
    removeEventListener("message", this.receive);
    this.frame.remove();
  }
}

if (location.protocol === "file:") window.Worker = FrameWorker;
