"""Vertical clips made from nothing: a style, a ramp and a seed give one seamless loop as an MP4 file."""

from lightwell.apps.demo.pictures.render import STYLES, Picture, encode, frames

__all__ = ["STYLES", "Picture", "encode", "frames"]
