// Which lane does which kind of job.
import { DeleteLane, GetLane, MixedLane, PutLane } from './blob-lanes.ts';
import type { JobState, Lane } from './lane.ts';
import { BlockListLane, ListLane, StageLane } from './list-lanes.ts';

export function makeLane(state: JobState, index: number): Lane {
  const { job } = state;
  switch (job.kind) {
    case 'put':
    case 'fill':
      return new PutLane(state, index, job.sizeBytes);
    case 'get':
    case 'verify':
      return new GetLane(state, index, job.sizeBytes, job.names);
    case 'mixed':
      return new MixedLane(state, index, job.sizeBytes, job.names, job.getShare);
    case 'delete':
      return new DeleteLane(state, index, job.names);
    case 'list':
      return new ListLane(state, index, job.pageSize, job.names);
    case 'put-block-list':
      return new BlockListLane(state, index, job.blocks);
    case 'stage':
      return new StageLane(state, index, job.blocks, job.blockBytes);
  }
}
