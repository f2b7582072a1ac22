// Get Account Information, on the service, a container or a blob.
import type { Answer } from '../http/answer.ts';
import type { Call } from './call.ts';

export async function getAccountInfo(_call: Call): Promise<Answer> {
  return {
    status: 200,
    headers: {
      'x-ms-sku-name': 'Standard_LRS',
      'x-ms-account-kind': 'StorageV2',
      'x-ms-is-hns-enabled': 'false',
    },
  };
}
