/** Lets one loop sleep until something happens or a time has passed; a call while it is awake is not lost. */
export class WakeUp {
  #pending = false;
  #wake: (() => void) | undefined;

  call(): void {
    this.#pending = true;
    this.#wake?.();
  }

  async sleep(maxMs: number): Promise<void> {
    if (!this.#pending) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        if (Number.isFinite(maxMs)) timer = setTimeout(resolve, Math.max(0, maxMs));
      });
      clearTimeout(timer);
      this.#wake = undefined;
    }
    this.#pending = false;
  }
}
