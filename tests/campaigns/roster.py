"""All campaigns, in the order of the scoreboard."""

from campaigns import (
    damage,
    failures,
    full_disk,
    identities,
    kills,
    owners,
    planted,
    power,
    price,
    readers,
    signals,
    stampede,
    syscalls,
)
from campaigns.campaign import Campaign

__all__ = ["CAMPAIGNS"]

CAMPAIGNS: tuple[Campaign, ...] = (
    kills.CAMPAIGN,
    syscalls.CAMPAIGN,
    full_disk.CAMPAIGN,
    signals.CAMPAIGN,
    power.CAMPAIGN,
    failures.CAMPAIGN,
    damage.CAMPAIGN,
    stampede.CAMPAIGN,
    readers.CAMPAIGN,
    owners.CAMPAIGN,
    planted.CAMPAIGN,
    identities.CAMPAIGN,
    price.CAMPAIGN,
)
