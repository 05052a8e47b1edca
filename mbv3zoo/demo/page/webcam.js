/** Frames of a webcam. */
export class Webcam {
  /** @param {HTMLVideoElement} video Plays the camera; it need not be seen. */
  constructor(video) {
    this.video = video;
    this.stream = null;
  }

  /** @returns {boolean} Whether it runs. */
  get running() {
    return this.stream !== null;
  }

  /**
   * @param {string} [camera] Its id; by default the one that looks away from the user, where there are two.
   * @param {() => void} onEnd Told when the camera stops by itself.
   * @throws {Error} One sentence that says why there is no camera.
   */
  async start(camera, onEnd) {
    this.stop();
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error(
        'browsers give the webcam to secure pages only; open this page by https://, or on this machine as http://localhost',
      );
    }
    const video = { width: { ideal: 1280 }, height: { ideal: 720 }, ...(camera ? { deviceId: { exact: camera } } : { facingMode: 'environment' }) };
    try {
      this.stream = await navigator.mediaDevices.getUserMedia({ video, audio: false });
      this.video.srcObject = this.stream;
      await this.video.play();
    } catch (error) {
      this.stop();
      throw new Error(reason(error), { cause: error });
    }
    const [track] = this.stream.getVideoTracks();
    track.addEventListener('ended', onEnd);
  }

  /** @returns {boolean} Whether people expect to see themselves as in a mirror. */
  get facesUser() {
    return this.stream?.getVideoTracks()[0].getSettings().facingMode !== 'environment';
  }

  /** @returns {string} The id of the camera that runs. */
  get camera() {
    return this.stream?.getVideoTracks()[0].getSettings().deviceId ?? '';
  }

  /** @returns {Promise<{id: string, name: string}[]>} All cameras; their names are known once one was allowed. */
  async cameras() {
    const devices = await navigator.mediaDevices.enumerateDevices();
    return devices
      .filter(({ kind }) => kind === 'videoinput')
      .map(({ deviceId, label }, index) => ({ id: deviceId, name: label || `Camera ${index + 1}` }));
  }

  stop() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }
}

/** Frames a second, over about the last second. */
export class Rate {
  constructor() {
    this.times = [];
  }

  /** @returns {number} Counts a frame; 0 until there are two. */
  count(now = performance.now()) {
    this.times.push(now);
    while (this.times.length > 2 && now - this.times[0] > 1000) this.times.shift();
    return this.times.length < 2 ? 0 : ((this.times.length - 1) * 1000) / (now - this.times[0]);
  }
}

function reason(error) {
  const reasons = {
    NotAllowedError: 'the webcam was not allowed; allow it beside the address of the page, or open the page in a tab of its own if it lies inside another',
    NotFoundError: 'there is no webcam; connect one and start again',
    NotReadableError: 'the webcam is in use by another program; close that one and start again',
    OverconstrainedError: 'that camera is gone; choose another one',
  };
  return reasons[error.name] ?? `the webcam did not start (${error.message}); connect it anew, or choose another one`;
}
