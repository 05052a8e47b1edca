/** Colours of classes that are told apart, and the ink that can be read on them, as `mbv3zoo.images.colours` in Python. */
const PALETTE = (
  'ff00ff 00ff00 784b0f 0000ff 3cd2ff ffc32d ff0f5a 783ca5 ffb4ff 00962d 006987 96f0a5 d28778 5a87ff 7800ff 961e4b ' +
  'd25ab4 3ca596 a5962d b469ff 2d4bb4 c33c00 a587c3 87c300 2d693c b400c3 ff8700 ff00a5 ff78ff ff87b4 0096d2 96b4ff ' +
  '00f0e1 ffc396 c3f000 4b4bff ff695a b40087 2dc378 b45a78 b46900 6969b4 b400ff c3c378 2df078 785ae1 697800 871ed2 ' +
  'c396ff 872d78 c3003c 78a569 00c300 78d2b4 f03cd2 f01e00 a55ac3 963c2d e13c87 e1e15a ffa5a5 5a2dc3 87f0ff d24bf0 ' +
  '0069f0 d2964b 875a96 c3b400 e187e1 5a4b87 8700a5 9678e1 5a5a0f 008769 0069b4 d25a5a 7896d2 00ffc3 d287b4 4bb4ff ' +
  '87ff4b 003ce1 a50000 5ab4d2 ff69c3 a5d269 876900 00c3c3 69a51e d2a5e1 4b0fe1 006900 e1691e 964bff 1e8796 4b69d2 ' +
  'b469a5 ff5a87 a52da5 b4695a 5ae100 ff9669 5a4bb4 a53cd2 00a569 c30069 d269e1 e1e196 9696ff e1a500 e16996 96f0d2 ' +
  '87e15a b43c78 3c5a96 4be196 b43c4b e13c5a 96b43c 873c5a 0096ff 96c387 d200f0 d200b4 ffb4d2 9600ff 693cf0 ff5a00 ' +
  '5a874b ff8787 ffb45a c3d200 4b78b4 b4f078 3cd25a 3c0fff a54b00 a54b96 b478d2 3c3cd2 8778ff ff1e87 5a69ff 2db43c ' +
  '78ff96 ffd278 e12da5 87d2ff 965a3c c33cc3 69d2e1 00d2b4 c37887 f096d2 78c369 b4e1a5 879600 a50f69 ff96ff 6996f0 ' +
  'c3b4ff 00a5b4 4bb487 87873c 875ac3 4b871e e1b478 6900d2 e14b2d c33c96 b44bff 00e1f0 e1a5ff e196a5 783cd2 ff4ba5 ' +
  '960087 e10069 ff4b5a ff5aff f06978 b4784b c35a1e d21e1e e1785a 965ae1 e1c35a d27800 ff00c3 a57800 1e78e1 872d96 ' +
  '783c87 5a4bd2 d20fd2 ff4bc3 965a00 4b690f ff783c e187ff'
).split(' ');

/**
 * @param {number} label Index of a class.
 * @returns {string} Its colour, as CSS writes it.
 */
export function classColour(label) {
  return `#${PALETTE[label % PALETTE.length]}`;
}

/** Red, green and blue, 0..255, of a colour as `classColour` gives it. */
export const channels = (colour) => [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));

/**
 * @param {string} colour As `classColour` gives it.
 * @returns {string} Black or white, whichever has the higher contrast on it: at least 4.5.
 */
export function inkOn(colour) {
  const linear = channels(colour).map((level) => {
    const share = level / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  const luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  return (luminance + 0.05) ** 2 > 1.05 * 0.05 ? '#000000' : '#ffffff';
}
