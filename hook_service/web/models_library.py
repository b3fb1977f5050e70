"""Loops, uploads and the trash in pydantic models."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

LoopName = Annotated[str, Field(min_length=1, max_length=1024)]
Tag = Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]{1,64}$")]
State = Literal["pending", "encoding", "prepared", "refused"]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Answer(BaseModel):
    model_config = ConfigDict(defer_build=True)


class LoopsQuery(_Asked):
    """A page of the loops, by name; `after` is the last name of the page before. `q` is looked for in names and tags;
    `used`: only those that something uses, or that nothing does.
    """

    after: Annotated[str, Field(max_length=1024)] = ""
    limit: int = Field(100, ge=1, le=500)
    q: Annotated[str, Field(max_length=200)] = ""
    tag: Tag | None = None
    state: State | None = None
    used: bool | None = None


class LoopQuery(_Asked):
    """One loop, by its name."""

    name: LoopName


class PictureQuery(LoopQuery):
    """A loop's picture. `v` is what `picture` says of the loop: an address with it may be kept for good."""

    v: Annotated[str, Field(max_length=64)] = ""


class DeleteQuery(LoopQuery):
    """A loop to delete; `force`: although something uses it."""

    force: bool = False


class LoopIn(_Asked):
    """A loop, by its name."""

    name: LoopName


class TagsIn(LoopIn):
    """All tags that a loop is to have."""

    tags: Annotated[list[Tag], Field(max_length=32)]


class DeletedIn(_Asked):
    """A deleted loop, by its number in the trash."""

    id: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class UploadPath(BaseModel):
    """An upload's number."""

    upload_id: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]


class UploadHeaders(BaseModel):
    """What tus says of a new upload. `Upload-Metadata` has the `filename` in it, in Base64."""

    length: int = Field(alias="Upload-Length", ge=0, le=2**53)
    metadata: Annotated[str, Field(alias="Upload-Metadata", max_length=4096)]


class PieceHeaders(BaseModel):
    """Where a piece of an upload begins."""

    offset: int = Field(alias="Upload-Offset", ge=0, le=2**53)


class Used(_Answer):
    """What uses a loop: so many mappings, these defaults and policies, and the stations that show it now."""

    mappings: int
    defaults: list[str]
    on_air: list[str]


class Loop(_Answer):
    """A file in the loops directory and, for each profile in use, how far it is.

    `state` is of all profiles together; `percent` is of the encoding. `tags` is null where the database does not
    answer. `picture` changes with the picture, and is null as long as there is none.
    """

    name: str
    size: int
    modified_at: datetime
    sha256: str | None
    state: State
    profiles: dict[str, State]
    percent: int | None
    reason: str | None
    tags: list[str] | None
    used: Used
    picture: str | None


class Loops(_Answer):
    """A page; `next` is null on the last, `total` counts all that match. `preparation` is its state as a whole (null
    where it does not answer).
    """

    items: list[Loop]
    next: str | None
    total: int
    preparation: dict[str, Any] | None


class Disk(_Answer):
    """Bytes: what the loops, the prepared loops and the trash take, what is free on the file system of the loops, and
    how much of that an upload may take.
    """

    loops: int
    loops_bytes: int
    prepared_bytes: int
    trash: int
    trash_bytes: int
    free_bytes: int
    total_bytes: int
    room_bytes: int


class TagCount(_Answer):
    """A tag, and how many loops have it."""

    tag: str
    loops: int


class Tags(_Answer):
    """All tags."""

    items: list[TagCount]


class Tagged(_Answer):
    """A loop's tags."""

    name: str
    tags: list[str]


class DeletedLoop(_Answer):
    """A loop in the trash; it is removed for good at `until`."""

    id: str
    name: str
    size: int
    deleted_at: datetime
    deleted_by: str
    until: datetime


class Trash(_Answer):
    """What was deleted, the latest first."""

    items: list[DeletedLoop]


class Upload(_Answer):
    """An upload. `receiving` up to `length`, then `checking`. `done`: it is the loop `name`. `duplicate`: the loop
    `name` has the same content. `refused`: see `reason`.
    """

    id: str
    name: str
    length: int
    offset: int
    state: Literal["receiving", "checking", "done", "duplicate", "refused"]
    reason: str | None
    sha256: str | None
    created_at: datetime
    created_by: str


class Uploads(_Answer):
    """Every upload that is known: also those that ended within a day."""

    items: list[Upload]
