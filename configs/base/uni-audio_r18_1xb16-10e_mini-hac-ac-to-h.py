# Table 1: the audio encoder alone, no domain task. The video is still read,
# because the audio is cropped to the seconds of the sampled clip.
_base_ = 'erm_slowfast-r18-r18_1xb16-concat-10e_mini-hac-ac-to-h.py'
model = dict(encoders=dict(video=None))
