"""Shows frames in a window (tkinter, which comes with Python: it needs no package that brings a second FFmpeg)."""

from __future__ import annotations

from typing import Any

from PIL import Image

# Share of the screen's sides that a window may take.
_SHARE = 0.9


class Window:
    """A window that shows one frame after the other, a context manager. It belongs to the thread that makes it.

    Frames that are larger than the screen are scaled down. The keys q and Escape close it, as its button does.

    Args:
        title: What its title bar says.

    Attributes:
        is_open: False once the user has closed it.

    Raises:
        RuntimeError: There is no display, or Python has no tkinter; the sentence says which.
    """

    def __init__(self, title: str) -> None:
        try:
            import tkinter

            from PIL import ImageTk
        except ImportError as error:
            raise RuntimeError('this Python has no tkinter (on Debian and Ubuntu: apt install python3-tk)') from error
        try:
            self._root = tkinter.Tk()
        except tkinter.TclError as error:
            raise RuntimeError(f'there is no display ({error})') from error
        self._new_photo = ImageTk.PhotoImage
        self._photo: Any = None
        self._label = tkinter.Label(self._root, borderwidth=0)
        self._label.pack()
        self._root.title(title)
        self._root.protocol('WM_DELETE_WINDOW', self._leave)
        for key in ('<q>', '<Q>', '<Escape>'):
            self._root.bind(key, self._leave)
        self.is_open = True

    def add(self, image: Image.Image) -> None:
        """Shows a frame and handles the keys that were pressed; nothing where the window was closed."""
        if not self.is_open:
            return
        most = self._root.winfo_screenwidth() * _SHARE, self._root.winfo_screenheight() * _SHARE
        scale = min(1.0, most[0] / image.width, most[1] / image.height)
        if scale < 1:
            image = image.resize((max(1, int(image.width * scale)), max(1, int(image.height * scale))))
        if self._photo is None or (self._photo.width(), self._photo.height()) != image.size:
            self._photo = self._new_photo(image)
            self._label.configure(image=self._photo)
        else:
            self._photo.paste(image)
        self._root.update()

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *error: object) -> None:
        # The photo before the interpreter that it lives in.
        self._photo = None
        self._root.destroy()

    def _leave(self, event: object = None) -> None:
        self.is_open = False
