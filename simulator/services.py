"""The 311 line's service catalogue: department, promised days, daily volume."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Service(NamedTuple):
    """One entry: `promise` in days, `daily` requests in the city, peak month (0 for none)."""

    name: str
    department: str
    promise: int
    daily: float
    peak: int
    descriptors: tuple[str, ...]


SERVICES = (
    Service("Missed collection", "sanitation", 2, 3.4, 0, ("Trash", "Recycling", "Organics")),
    Service("Illegal dumping", "sanitation", 5, 5.4, 6, ("Alley", "Vacant lot", "Curb")),
    Service("Overflowing litter bin", "sanitation", 3, 3.3, 7, ("Park edge", "Bus stop")),
    Service("Bulky item pick-up", "sanitation", 7, 8.2, 5, ("Furniture", "Appliance", "Tires")),
    Service("Pothole", "transport", 7, 7.2, 3, ("Travel lane", "Bike lane", "Crossing")),
    Service("Street light out", "transport", 10, 5.3, 12, ("Single lamp", "Whole block")),
    Service("Traffic signal", "transport", 1, 2.1, 0, ("Dark", "Timing", "Pedestrian button")),
    Service("Sidewalk damage", "transport", 30, 3.0, 6, ("Raised slab", "Broken curb ramp")),
    Service("Snow and ice", "transport", 2, 1.0, 1, ("Street not plowed", "Icy crossing")),
    Service("Tree damage", "parks", 10, 4.1, 6, ("Fallen limb", "Dead tree", "Root damage")),
    Service("Park maintenance", "parks", 7, 3.6, 7, ("Playground", "Grass", "Restroom")),
    Service("Flooded street", "water", 2, 0.8, 6, ("Blocked drain", "Standing water")),
    Service("Water quality", "water", 3, 2.4, 0, ("Brown water", "Taste", "Low pressure")),
    Service("Sewer backup", "water", 1, 1.3, 0, ("Basement", "Street")),
    Service("No heat", "housing", 3, 2.3, 1, ("Whole building", "One apartment")),
    Service("Rental inspection", "housing", 14, 3.7, 0, ("Mold", "Pests", "Stairs")),
    Service("Work without permit", "permits", 15, 1.7, 6, ("Addition", "Demolition", "Electrical")),
    Service("Noise", "safety", 1, 9.0, 7, ("Music", "Construction", "Vehicles")),
    Service("Abandoned vehicle", "safety", 10, 4.9, 0, ("Street", "Lot")),
    Service("Rodents", "health", 7, 4.6, 8, ("Alley", "Building", "Park")),
    Service("Stray animal", "health", 2, 2.6, 5, ("Loose dog", "Injured animal")),
    Service("General question", "service_center", 3, 6.6, 0, ("Hours", "Fees", "Forms")),
)
INDEX = {service.name: at for at, service in enumerate(SERVICES)}
PROMISE = np.array([service.promise for service in SERVICES])
DAILY = np.array([service.daily for service in SERVICES])
_PEAK = np.array([service.peak for service in SERVICES])


def season(month: int) -> np.ndarray:
    """Return each service's factor for a month 1-12."""
    swing = np.cos(2 * np.pi * (month - _PEAK) / 12)
    factor = np.where(_PEAK == 0, 1.0, 1 + 0.45 * swing)
    factor[INDEX["Snow and ice"]] = max(0.0, float(swing[INDEX["Snow and ice"]])) * 0.4
    factor[INDEX["No heat"]] = max(0.02, float(swing[INDEX["No heat"]]) * 2)
    return factor
