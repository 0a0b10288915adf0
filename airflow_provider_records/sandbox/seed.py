"""The records that the sandbox is seeded with, seen from all three vendors at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Item:
    """One record that Opus knows and whose content lies in enaio or Unifier.

    :param key: Opus ``rowKey``.
    :param title: file name or subject.
    :param classification: Opus term path, e.g. ``Personnel/Contracts``.
    :param created: ``YYYY-MM-DD HH:MM:SS``.
    :param modified: as ``created``.
    :param author: who created it.
    :param due: when its retention ends, ``YYYY-MM-DDTHH:MM:SS`` in UTC.
    :param connector_id: GUID of the Opus connection it was submitted through.
    :param system: ``enaio`` or ``unifier``: where its content lies.
    :param target_id: id of the content there (enaio object id, Unifier node id).
    :param folder_id: id of the folder that holds it there.
    :param folder_path: path of that folder, e.g. ``/Closed/2014``.
    :param object_type: enaio object type, e.g. ``Invoice``; empty for Unifier.
    :param project: Unifier project number; empty for enaio.
    :param trouble: what stands in its way: empty, or for Opus ``held``, ``under_review``; for enaio
        ``no_right``, ``workflow``, ``locked``, ``gone``; for Unifier ``linked``, ``locked``, ``gone``.
    """

    key: str
    title: str
    classification: str
    created: str
    modified: str
    author: str
    due: str
    connector_id: str
    system: str
    target_id: str
    folder_id: str
    folder_path: str
    object_type: str = ""
    project: str = ""
    trouble: str = ""
