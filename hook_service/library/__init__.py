"""Prepared loops: each media file is encoded once per profile, checked, stored by content, then only copied."""
