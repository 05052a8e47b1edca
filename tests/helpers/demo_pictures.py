"""Pictures of many sizes and kinds, with objects of the synthetic set in most, for the page in the browser."""

import numpy as np
from PIL import Image, ImageCms

from mbv3zoo.images.read import read_image

_ORIENTATION = 0x0112


def write_pictures(scene, folder):
    """Writes the pictures; returns their paths by name.

    Args:
        scene: An image file of 640 x 480 pixels.
        folder: Where they go; it exists.
    """
    image = Image.fromarray(read_image(scene))
    rng = np.random.default_rng(0)
    paths = {}

    def write(name, picture, **options):
        paths[name] = folder / name
        picture.save(paths[name], **options)

    write('wide.png', image.crop((0, 300, 640, 400)))
    write('tall.jpg', image.crop((440, 0, 640, 480)))
    write('tiny.png', image.resize((40, 30)))
    write('one_column.png', image.resize((1, 300)))
    write('one_pixel.png', image.resize((1, 1)))
    write('as_the_input.png', image.crop((320, 160, 640, 480)))
    write('huge.jpg', image.resize((4200, 3150), Image.Resampling.BICUBIC), quality=90)
    write('photo.jpg', image.resize((1921, 1441), Image.Resampling.BICUBIC), quality=85)
    write('odd.jpg', image.resize((1283, 967), Image.Resampling.BICUBIC), quality=95)
    write('panorama.png', Image.fromarray(np.tile(np.asarray(image.resize((160, 120))), (1, 60, 1))))
    for orientation in (3, 5, 6):
        exif = Image.Exif()
        exif[_ORIENTATION] = orientation
        write(f'turned_{orientation}.jpg', image, exif=exif)
    alpha = Image.fromarray(np.linspace(0, 255, 480).astype(np.uint8)[:, None].repeat(640, 1))
    clear = image.copy()
    clear.putalpha(alpha)
    write('alpha.png', clear)
    write('alpha.webp', clear, lossless=True)
    grey = image.convert('L')
    write('grey.jpg', grey)
    write('grey_alpha.png', Image.merge('LA', (grey, alpha)))
    sixteen = np.asarray(grey).astype(np.uint16) * 257 + rng.integers(-99, 100, (480, 640))
    write('sixteen_bit.png', Image.fromarray(sixteen.clip(0, 65535).astype(np.uint16)))
    palette = image.quantize(64)
    write('palette.png', palette, transparency=3)
    write('animated.gif', palette, save_all=True, append_images=[image.rotate(180).quantize(64)])
    write('lossy.webp', image, quality=80)
    write('large.bmp', image.resize((960, 720), Image.Resampling.BICUBIC))
    write('progressive.jpg', image, progressive=True, subsampling=0)
    # A browser that followed this profile would exchange red and blue.
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    write(
        'profile.png',
        image,
        icc_profile=profile.replace(b'rXYZ', b'----').replace(b'bXYZ', b'rXYZ').replace(b'----', b'bXYZ'),
    )
    return paths
