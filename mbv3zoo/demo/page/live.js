/** The webcam's part of the page: its camera, its frames a second, and one frame after another to the detector. */
import { Rate, Webcam } from './webcam.js';

export class LiveView {
  /**
   * @param {HTMLElement} element With `#camera`, `#mirror`, `#keep` and `#fps`.
   * @param {object} told
   * @param {(frame: object) => void} told.onFrame A frame as the page shows it: `bitmap` and `detected`.
   * @param {() => void} told.onStop
   * @param {(file: File) => void} told.onKeep A frame that is kept as a picture.
   * @param {(message: string) => void} told.onError
   */
  constructor(element, { onFrame, onStop, onKeep, onError }) {
    Object.assign(this, { element, onFrame, onStop, onKeep, onError });
    this.webcam = new Webcam(document.getElementById('video'));
    this.select = element.querySelector('#camera');
    this.mirror = element.querySelector('#mirror');
    this.fps = element.querySelector('#fps');
    this.kept = 0;
    this.round = 0;
    this.select.addEventListener('change', () => this.start(this.detector, this.select.value));
    element.querySelector('#keep').addEventListener('click', () => this.#keep());
    navigator.mediaDevices?.addEventListener?.('devicechange', () => this.running && this.#list());
  }

  get running() {
    return this.webcam.running;
  }

  get mirrored() {
    return this.mirror.checked;
  }

  /**
   * @param {import('./detector.js').Detector} detector
   * @param {string} [camera] Its id.
   * @returns {Promise<boolean>} Whether it runs now; if not, why was told.
   */
  async start(detector, camera) {
    this.detector = detector;
    const round = ++this.round;
    try {
      await this.webcam.start(camera, () => {
        this.stop();
        this.onError('the webcam was disconnected; connect it and start again');
      });
      await this.#list();
      // Meanwhile something else was chosen.
      if (round !== this.round) {
        this.webcam.stop();
        return false;
      }
    } catch (error) {
      this.#ended();
      this.onError(error.message);
      return false;
    }
    this.mirror.checked = this.webcam.facesUser;
    this.element.hidden = false;
    this.#run(round);
    return true;
  }

  stop() {
    this.round++;
    if (!this.running) return;
    this.webcam.stop();
    this.#ended();
  }

  #ended() {
    this.round++;
    this.element.hidden = true;
    this.fps.textContent = '';
    this.onStop();
  }

  async #run(round) {
    const rate = new Rate();
    const goes = () => this.running && round === this.round;
    while (goes()) {
      // Rests while the page is hidden.
      await new Promise(requestAnimationFrame);
      if (!goes()) return;
      try {
        const bitmap = await createImageBitmap(this.webcam.video);
        const detected = await this.detector.detect(bitmap);
        if (!goes()) return bitmap.close();
        this.onFrame({ name: null, error: null, bitmap, detected });
      } catch (error) {
        if (!goes()) return;
        this.stop();
        this.onError(error.message);
        return;
      }
      const frames = rate.count();
      if (frames) this.fps.textContent = `${frames.toFixed(1)} frames a second`;
    }
  }

  async #list() {
    const cameras = await this.webcam.cameras();
    this.select.replaceChildren(...cameras.map(({ id, name }) => new Option(name, id)));
    this.select.value = this.webcam.camera;
    this.select.parentElement.hidden = cameras.length < 2;
  }

  async #keep() {
    const { video } = this.webcam;
    const canvas = document.createElement('canvas');
    [canvas.width, canvas.height] = [video.videoWidth, video.videoHeight];
    canvas.getContext('2d').drawImage(video, 0, 0);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
    this.onKeep(new File([blob], `webcam_${++this.kept}.png`, { type: 'image/png' }));
  }
}
