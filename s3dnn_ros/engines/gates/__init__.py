"""Gates: segments that wait on the device until the host lets them go on.

Before each segment, a job waits until a word in memory that host and device share is large
enough, and behind each it writes another one. So the host lets a segment go on by a store, and
sees how far the job is by a load: neither is a call of CUDA, and nothing is launched between two
segments.

A job is one CUDA graph. Where graphs cannot wait, as before CUDA 11.7, it is several launches into
one stream: windows of one segment each. Since CUDA 12.8, a graph can also choose between several
by a word, when it comes to them: the variants of a segment.
"""
