"""YOLOv5 layer-list files as texts, written from the architecture's published layers."""

ANCHORS = """anchors:
  - [10,13, 16,30, 33,23]  # P3/8
  - [30,61, 62,45, 59,119]  # P4/16
  - [116,90, 156,198, 373,326]  # P5/32
"""
_BACKBONE = """backbone:
  # [from, number, module, args]
  [[-1, 1, Conv, [64, 6, 2, 2]],  # 0-P1/2
   [-1, 1, Conv, [128, 3, 2]],  # 1-P2/4
   [-1, 3, C3, [128]],
   [-1, 1, Conv, [256, 3, 2]],  # 3-P3/8
   [-1, 6, C3, [256]],
   [-1, 1, Conv, [512, 3, 2]],  # 5-P4/16
   [-1, 9, C3, [512]],
   [-1, 1, Conv, [1024, 3, 2]],  # 7-P5/32
   [-1, 3, C3, [1024]],
   [-1, 1, SPPF, [1024, 5]],  # 9
  ]
"""
_TOP_DOWN = """head:
  [[-1, 1, Conv, [512, 1, 1]],
   [-1, 1, nn.Upsample, [None, 2, 'nearest']],
   [[-1, 6], 1, Concat, [1]],
   [-1, 3, C3, [512, False]],  # 13
   [-1, 1, Conv, [256, 1, 1]],
   [-1, 1, nn.Upsample, [None, 2, 'nearest']],
   [[-1, 4], 1, Concat, [1]],
   [-1, 3, C3, [256, False]],  # 17 (P3/8)
"""
_BOTTOM_UP = """   [-1, 1, Conv, [256, 3, 2]],
   [[-1, 14], 1, Concat, [1]],
   [-1, 3, C3, [512, False]],  # 20 (P4/16)
   [-1, 1, Conv, [512, 3, 2]],
   [[-1, 10], 1, Concat, [1]],
   [-1, 3, C3, [1024, False]],  # 23 (P5/32)
   [[17, 20, 23], 1, Detect, [nc, anchors]],
  ]
"""
MULTIPLES = {'n': (0.33, 0.25), 's': (0.33, 0.5), 'm': (0.67, 0.75), 'l': (1.0, 1.0), 'x': (1.33, 1.25)}


def official(size: str = 'n', num_classes: int = 80) -> str:
    """YOLOv5 v6.0's file of one size."""
    depth, width = MULTIPLES[size]
    head = f'nc: {num_classes}\ndepth_multiple: {depth}\nwidth_multiple: {width}\n'
    return head + ANCHORS + _BACKBONE + _TOP_DOWN + _BOTTOM_UP


# One step further up: maps at strides 4 to 32. Anchors are given as their number.
P2 = (
    'nc: 80\ndepth_multiple: 0.33\nwidth_multiple: 0.25\nanchors: 3\n'
    + _BACKBONE
    + _TOP_DOWN
    + """   [-1, 1, Conv, [128, 1, 1]],  # 18
   [-1, 1, nn.Upsample, [None, 2, 'nearest']],
   [[-1, 2], 1, Concat, [1]],
   [-1, 1, C3, [128, False]],  # 21 (P2/4)
   [-1, 1, Conv, [128, 3, 2]],
   [[-1, 18], 1, Concat, [1]],
   [-1, 3, C3, [256, False]],  # 24 (P3/8)
   [-1, 1, Conv, [256, 3, 2]],
   [[-1, 14], 1, Concat, [1]],
   [-1, 3, C3, [512, False]],  # 27 (P4/16)
   [-1, 1, Conv, [512, 3, 2]],
   [[-1, 10], 1, Concat, [1]],
   [-1, 3, C3, [1024, False]],  # 30 (P5/32)
   [[21, 24, 27, 30], 1, Detect, [nc, anchors]],
  ]
"""
)
# One stage more: maps at strides 8 to 64.
P6 = """nc: 80
depth_multiple: 0.33
width_multiple: 0.25
anchors:
  - [19,27, 44,40, 38,94]
  - [96,68, 86,152, 180,137]
  - [140,301, 303,264, 238,542]
  - [436,615, 739,380, 925,792]
backbone:
  [[-1, 1, Conv, [64, 6, 2, 2]],
   [-1, 1, Conv, [128, 3, 2]],
   [-1, 3, C3, [128]],
   [-1, 1, Conv, [256, 3, 2]],
   [-1, 6, C3, [256]],
   [-1, 1, Conv, [512, 3, 2]],
   [-1, 9, C3, [512]],
   [-1, 1, Conv, [768, 3, 2]],
   [-1, 3, C3, [768]],
   [-1, 1, Conv, [1024, 3, 2]],
   [-1, 3, C3, [1024]],
   [-1, 1, SPPF, [1024, 5]],  # 11
  ]
head:
  [[-1, 1, Conv, [768, 1, 1]],
   [-1, 1, nn.Upsample, [None, 2, 'nearest']],
   [[-1, 8], 1, Concat, [1]],
   [-1, 3, C3, [768, False]],  # 15
   [-1, 1, Conv, [512, 1, 1]],
   [-1, 1, nn.Upsample, [None, 2, 'nearest']],
   [[-1, 6], 1, Concat, [1]],
   [-1, 3, C3, [512, False]],  # 19
   [-1, 1, Conv, [256, 1, 1]],
   [-1, 1, nn.Upsample, [None, 2, 'nearest']],
   [[-1, 4], 1, Concat, [1]],
   [-1, 3, C3, [256, False]],  # 23 (P3/8)
   [-1, 1, Conv, [256, 3, 2]],
   [[-1, 20], 1, Concat, [1]],
   [-1, 3, C3, [512, False]],  # 26 (P4/16)
   [-1, 1, Conv, [512, 3, 2]],
   [[-1, 16], 1, Concat, [1]],
   [-1, 3, C3, [768, False]],  # 29 (P5/32)
   [-1, 1, Conv, [768, 3, 2]],
   [[-1, 12], 1, Concat, [1]],
   [-1, 3, C3, [1024, False]],  # 32 (P6/64)
   [[23, 26, 29, 32], 1, Detect, [nc, anchors]],
  ]
"""


def patched(network: str = 'MobileNetV3', args: str = '[]', lateral: int = 5) -> str:
    """The file of hand-patched trees: a whole network stands for rows 0 to 4.

    Args:
        network: Its name.
        args: Its arguments.
        lateral: What the last concatenation takes: 5, the SPPF, as such files have it, or 6 as in YOLOv5's own.
    """
    return f"""nc: 80
depth_multiple: 0.33
width_multiple: 0.25
{ANCHORS}backbone:
  [[-1, 1, {network}, {args}],
   [-1, 1, SPPF, [1024, 5]]]
head:
  [[-1, 1, Conv, [512, 1, 1]],
   [-1, 1, nn.Upsample, [None, 2, 'nearest']],
   [[-1, 3], 1, Concat, [1]],
   [-1, 3, C3, [512, False]],
   [-1, 1, Conv, [256, 1, 1]],
   [-1, 1, nn.Upsample, [None, 2, 'nearest']],
   [[-1, 2], 1, Concat, [1]],
   [-1, 3, C3, [256, False]],
   [-1, 1, Conv, [256, 3, 2]],
   [[-1, 10], 1, Concat, [1]],
   [-1, 3, C3, [512, False]],
   [-1, 1, Conv, [512, 3, 2]],
   [[-1, {lateral}], 1, Concat, [1]],
   [-1, 3, C3, [1024, False]],
   [[13, 16, 19], 1, Detect, [nc, anchors]]]
"""
