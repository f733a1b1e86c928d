// Original file: proto/causeway/v1/admin.proto


export interface PingRequest {
}

export interface PingRequest__Output {
}
