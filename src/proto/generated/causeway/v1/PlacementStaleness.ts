// Original file: proto/causeway/v1/admin.proto


export interface PlacementStaleness {
  'placementId'?: (number);
  'stalenessMs'?: (number | string);
  '_stalenessMs'?: "stalenessMs";
}

export interface PlacementStaleness__Output {
  'placementId': (number);
  'stalenessMs'?: (number);
  '_stalenessMs'?: "stalenessMs";
}
