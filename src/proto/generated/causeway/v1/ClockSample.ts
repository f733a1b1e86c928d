// Original file: proto/causeway/v1/admin.proto


export interface ClockSample {
  'offsetMs'?: (number | string);
  'rttMs'?: (number | string);
}

export interface ClockSample__Output {
  'offsetMs': (number);
  'rttMs': (number);
}
