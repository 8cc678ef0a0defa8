# Table 1: the audio encoder alone, no domain task. The video is still read,
# because the sound is cut to the seconds of the sampled clip.
_base_ = 'erm_slowfast-r101-r18_1xb16-concat-20e_hac-hc-to-a.py'
model = dict(encoders=dict(video=None))
