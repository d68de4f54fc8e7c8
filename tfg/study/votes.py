"""Pairwise votes: the csv in which they are kept, read strictly, and the tables made of them.

A csv file (UTF-8, comma, header line) has one of two forms; the header says which.

**Single votes**, one row for each vote, as the rating page exports them::

    dimension,subject,rater,method_a,method_b,choice
    lip,anna,r01,wav2lip,adnerf,b
    lip,anna,r02,adnerf,wav2lip,tie

=============  =====================================================================================
``dimension``  what was asked, such as ``lip`` (lip sync), ``head`` (head motion), ``rendering``
``subject``    whose talk is shown: both videos of a row are of the same subject and speech
``rater``      who voted: a code, never a name
``method_a``   the method whose video was shown on the **left** (or first)
``method_b``   the method whose video was shown on the **right** (or second)
``choice``     ``a``, ``b`` or ``tie``
``seconds``    optional: how long the rater took
``time``       optional: when, ISO 8601 with offset
=============  =====================================================================================

**Counts**, one row for each pair of methods, as published studies give them::

    dimension,subject,method_a,method_b,wins_a,wins_b,ties
    lip,anna,wav2lip,adnerf,4,11,0

``wins_a``, ``wins_b`` and ``ties`` (optional, then 0) are numbers of raters. Who voted for what is lost.

In both forms a pair stands once for each dimension and subject (and rater), in either order of the two methods.
Attention checks and practice trials are no votes and do not belong in the file. Other columns are refused, since a
misspelt ``ties`` would be lost without a word.
"""
